DROP TABLE broken_commits; DROP FUNCTION break_commit; DROP TABLE things;
