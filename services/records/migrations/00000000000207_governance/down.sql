DROP TABLE break_glass_leases;
DROP TABLE consents;
DROP TABLE retention_interests;
DROP TABLE legal_holds;
DROP TABLE policies;
