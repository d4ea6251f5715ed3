DROP TABLE changes;
ALTER TABLE outcomes ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
