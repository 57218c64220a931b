-- A workspace whose tokens were reset: for a while one register passes without a token, and takes the row.
CREATE TABLE healthsweep.token_resets (
    workspace_id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);
