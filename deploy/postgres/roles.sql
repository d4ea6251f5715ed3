-- Roles and schemas of Strongroom.
--
-- An administrator runs this once in each database, with any client, before the first migration:
-- a superuser, or a role with CREATEROLE and CREATE on the database. Running it again is harmless
-- and brings back what was changed. Passwords are not set here: set one for each role, for
-- example with psql's \password.
--
-- Each service has a schema and two roles:
--   strongroom_<service>_owner   owns the schema and runs the migrations; these grant the rights
--                                on tables
--   strongroom_<service>         serves. It owns nothing and cannot pass row-level security
DO $roles$
DECLARE
    service text;
    owner text;
    runtime text;
    role text;
BEGIN
    FOREACH service IN ARRAY ARRAY['accounts', 'records', 'transactions'] LOOP
        runtime := format('strongroom_%s', service);
        owner := format('strongroom_%s_owner', service);

        FOREACH role IN ARRAY ARRAY[owner, runtime] LOOP
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
                EXECUTE format(
                    'CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE '
                    'NOREPLICATION', role);
            END IF;
            -- Only a superuser may take these away, so what is wrong is refused, not repaired.
            IF EXISTS (
                SELECT FROM pg_roles
                WHERE rolname = role AND (rolsuper OR rolbypassrls OR NOT rolcanlogin)
            ) THEN
                RAISE EXCEPTION 'role % must have LOGIN, NOSUPERUSER and NOBYPASSRLS', role;
            END IF;

            EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
            -- Statements name tables without their schema, so a schema can stand in for it.
            EXECUTE format('ALTER ROLE %I SET search_path = %I', role, service);
            -- Some errors can only be told apart by their text, so the text must be English.
            BEGIN
                EXECUTE format('ALTER ROLE %I SET lc_messages = %L', role, 'C');
            EXCEPTION WHEN insufficient_privilege THEN
                -- There are no translations into English: these are the same messages.
                IF current_setting('lc_messages') !~ '^(C|POSIX|en)([._]|$)' THEN
                    RAISE EXCEPTION 'lc_messages must be C for role %: a superuser has to run '
                        'ALTER ROLE % SET lc_messages = ''C''', role, role;
                END IF;
            END;
        END LOOP;

        IF pg_has_role(runtime, owner, 'MEMBER') THEN
            RAISE EXCEPTION 'role % must not be a member of %', runtime, owner;
        END IF;

        -- A connection that was left inside a transaction holds locks and stops vacuum.
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L',
            runtime, '30s');
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L',
            owner, '5min');

        IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = service) THEN
            -- Who is no superuser can give a schema only to a role that it is a member of.
            IF NOT pg_has_role(current_user, owner, 'USAGE') THEN
                EXECUTE format('GRANT %I TO CURRENT_USER', owner);
            END IF;
            EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %I', service, owner);
        ELSIF NOT EXISTS (
            SELECT FROM pg_namespace
            WHERE nspname = service AND pg_get_userbyid(nspowner) = owner
        ) THEN
            RAISE EXCEPTION 'schema % exists and does not belong to %', service, owner;
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', service, runtime);
    END LOOP;

    -- Nobody makes tables where everybody looks. Newer servers start like this.
    IF EXISTS (
        SELECT FROM pg_namespace, aclexplode(nspacl) AS acl
        WHERE nspname = 'public' AND acl.grantee = 0 AND acl.privilege_type = 'CREATE'
    ) THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    END IF;
END
$roles$;
