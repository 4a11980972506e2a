-- Each second those answered within the last minute are looked for.
create index approvals_answered on approvals (answered_at) where answered_at is not null;
