-- A process that is killed is missed at once by another on the same machine.
alter table processes add column pid integer, add column pid_space text;
