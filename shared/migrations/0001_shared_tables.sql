-- Three tables are shared with a platform database. Where they exist they stay as they are; where they do
-- not, this host has no platform server and they are made here. (CREATE TABLE IF NOT EXISTS would demand
-- CREATE on the schema even where the table exists.) No foreign keys to workspaces: they would put triggers
-- on it, and a platform's may be there while another of the three is missing.
DO $$
BEGIN
    IF to_regclass('public.workspaces') IS NULL THEN
        CREATE TABLE public.workspaces (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            name text,
            role text,
            tier integer NOT NULL DEFAULT 1,
            status text NOT NULL DEFAULT 'offline',
            runtime text DEFAULT 'langgraph',
            url text,
            agent_card jsonb,
            parent_id uuid REFERENCES public.workspaces (id),
            last_heartbeat_at timestamptz,
            last_error_rate double precision,
            last_sample_error text,
            active_tasks integer,
            uptime_seconds bigint,
            current_task text,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now()
        )
        -- Room on each page, so that a heartbeat is a HOT update. For the same reason
        -- last_heartbeat_at has no index.
        WITH (fillfactor = 80);
    END IF;

    IF to_regclass('public.workspace_auth_tokens') IS NULL THEN
        CREATE TABLE public.workspace_auth_tokens (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            workspace_id uuid NOT NULL,
            token_hash bytea NOT NULL UNIQUE, -- sha256 of the token; the token itself is stored nowhere
            prefix text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            last_used_at timestamptz,
            revoked_at timestamptz
        );
        CREATE INDEX workspace_auth_tokens_workspace ON public.workspace_auth_tokens (workspace_id);
    END IF;

    IF to_regclass('public.org_plugin_allowlist') IS NULL THEN
        CREATE TABLE public.org_plugin_allowlist (
            org_id uuid NOT NULL,
            plugin_name text NOT NULL,
            enabled_by text NOT NULL,
            enabled_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (org_id, plugin_name)
        );
    END IF;
END
$$;
