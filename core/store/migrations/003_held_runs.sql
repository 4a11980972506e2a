-- A run may be held back before it begins: while it gathers a burst of events, while its trigger or source is paused,
-- and until its rate allows it.
alter table runs add column burst text, add column rate text, add column rate_limit integer, add column rate_ms bigint;
-- While it is there, new events of the burst join this run; whatever begins or ends the run takes it away.
create unique index runs_burst on runs (burst) where burst is not null;
create index runs_held on runs (id) where status = 'waiting' and started_at is null;
create index runs_of_rate on runs (rate, started_at, status, priority desc, id) where rate is not null;

create table bursts (
  run_id       text collate "C" not null,
  event_id     text collate "C" not null,
  primary key (run_id, event_id)
);
create index bursts_of_event on bursts (event_id);

-- `trigger:capability/name`, the handler, or `source:name`.
create table pauses (
  name         text primary key,
  since        timestamptz not null default now()
);
