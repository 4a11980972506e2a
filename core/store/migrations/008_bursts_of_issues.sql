-- A run of an issue that was not put right, `known` if that is one, else the newest: of one of its events (of a burst it
-- has several) no retry or replay, with its payload or another, has completed. Null when there is none. A canceled run is
-- not asked for.
create or replace function unsettled_run(issue text, known text) returns text language plpgsql stable
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  found text;
begin
  for found in
    (select id from runs where id = known and issue_id = issue) union all (select id from runs where issue_id = issue order by id desc)
  loop
    if exists (select from runs r cross join lateral (select r.event_id union select b.event_id from bursts b where b.run_id = r.id) o
        where r.id = found and r.status not in ('completed', 'canceled')
        and not exists (select from runs n where n.event_id = o.event_id and n.handler = r.handler and n.id > r.id and n.status = 'completed')
        and not exists (select from bursts b join runs n on n.id = b.run_id
                        where b.event_id = o.event_id and n.handler = r.handler and n.id > r.id and n.status = 'completed')
        and not exists (select from events e join runs n on n.event_id = e.id
                        where e.replay_of = o.event_id and n.handler = r.handler and n.status = 'completed')) then
      return found;
    end if;
  end loop;
  return null;
end $$;
