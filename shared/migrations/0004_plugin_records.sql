-- What was delivered to whom: installed into a container, or pulled by an external workspace.
CREATE TABLE healthsweep.plugin_records (
    workspace_id uuid NOT NULL,
    plugin_name text NOT NULL,
    source text NOT NULL,
    digest text NOT NULL,
    size_bytes bigint NOT NULL,
    installed_at timestamptz,
    pulled_at timestamptz,
    PRIMARY KEY (workspace_id, plugin_name)
);
