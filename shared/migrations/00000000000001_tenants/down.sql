DROP TABLE tenants;
DROP TABLE schema_state;
