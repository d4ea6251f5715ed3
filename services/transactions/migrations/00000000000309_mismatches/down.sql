DROP TABLE audits;
DROP TABLE mismatches;
