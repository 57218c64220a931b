-- Every transition that was written, append-only. No foreign key: a platform database may not let us
-- reference its table, and history outlives the row that it tells of.
CREATE TABLE healthsweep.history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id uuid NOT NULL,
    from_status text,
    to_status text NOT NULL,
    reason text NOT NULL,
    exit_code integer,
    detected_by text NOT NULL,
    cause_id text, -- the sweep or the request that did it
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX history_newest ON healthsweep.history (workspace_id, id DESC);
CREATE INDEX history_at ON healthsweep.history USING brin (at);

-- Whether heartbeats can be heard: one row, which the api renews while it runs. heard_since is the later
-- of its start and the end of its last outage, so that nobody is called silent for a time without ears.
CREATE TABLE healthsweep.presence (
    process text PRIMARY KEY CHECK (process = 'api'),
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    heard_since timestamptz NOT NULL
);
