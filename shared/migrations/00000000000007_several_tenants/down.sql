ALTER POLICY tenant ON outcomes
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER POLICY tenant ON changes
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
