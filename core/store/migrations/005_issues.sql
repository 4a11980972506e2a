-- What is wrong has a row of its own: failures of one cause, silent sources, payloads that changed their shape.
alter table runs add column issue_id text collate "C";
create index runs_of_issue on runs (issue_id, id) where issue_id is not null;
alter table messages add column issue_id text collate "C";
create index messages_of_issue on messages (issue_id, id) where issue_id is not null;

-- One row for each cause, however often it opens: `closed_at` is when it was last closed. `about` is a handler,
-- `channel:<name>`, a source, or a source and a type. `unsettled` is one of its runs that is not put right, `told_at` is
-- when the owner was told of this opening.
create table issues (
  id           text collate "C" primary key,
  kind         text not null check (kind in ('failure', 'silence', 'shape')),
  about        text not null,
  fingerprint  text not null,
  title        text not null,
  detail       jsonb,
  status       text not null default 'open' check (status in ('open', 'closed')),
  count        bigint not null,
  openings     integer not null default 1,
  first_at     timestamptz not null,
  last_at      timestamptz not null,
  opened_at    timestamptz not null,
  closed_at    timestamptz,
  closed_by    text,
  unsettled    text collate "C",
  told_at      timestamptz
);
create unique index issues_cause on issues (kind, about, fingerprint);
create index issues_last on issues (last_at, id);
create index issues_open on issues (kind) where status = 'open';

create table watches (
  about        text primary key,
  since        timestamptz not null
);

create table shapes (
  source       text not null,
  type         text not null,
  seen         integer not null,
  paths        jsonb not null,
  event_id     text collate "C" not null,
  primary key (source, type)
);
