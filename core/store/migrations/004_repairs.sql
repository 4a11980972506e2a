-- Replays and retries of many: the set is fixed when it is found, and nothing of it is done twice.
create table repairs (
  order_id     text collate "C" not null,
  target_id    text collate "C" not null,
  run_ids      text[],
  primary key (order_id, target_id)
);
create index repairs_open on repairs (order_id, target_id) where run_ids is null;
-- The event of which this one is the replay with another payload.
alter table events add column replay_of text collate "C";
create index events_replays on events (replay_of) where replay_of is not null;
create index events_unread on events (id) where problem is not null;
create index runs_of_parent on runs (parent_id) where parent_id is not null;
