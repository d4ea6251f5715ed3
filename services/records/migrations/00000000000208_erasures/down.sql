DROP TABLE sweeps;
DROP TABLE erasures;
