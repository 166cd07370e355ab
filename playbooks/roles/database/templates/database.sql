\set QUIET off
-- A standby takes all of this from its primary.
select pg_is_in_recovery() as standby \gset
\if :standby
  \quit
\endif
do $$ begin
  if current_setting('data_checksums') <> 'on' then
    raise exception 'JB4005  the cluster has no data checksums: a damaged page would be backed up unseen'
      using hint = 'Stop it and run pg_checksums --enable, then run the playbook again.';
  end if;
end $$;
{% for role in database_roles %}
select format('create role %I login', '{{ role.name }}')
  where not exists (select from pg_roles where rolname = '{{ role.name }}') \gexec
{% if role.secret is defined %}
{% set verifier = lookup('scram', role.secret, state=jinbao_state) %}
select format('alter role %I password %L', '{{ role.name }}', '{{ verifier }}')
  where (select rolpassword from pg_authid where rolname = '{{ role.name }}') is distinct from '{{ verifier }}' \gexec
{% endif %}
{% if role.member_of is defined %}
select format('grant %I to %I', '{{ role.member_of }}', '{{ role.name }}')
  where not pg_has_role('{{ role.name }}', '{{ role.member_of }}', 'member') \gexec
{% endif %}
{% endfor %}
select format('create database %I owner %I', '{{ database_name }}', '{{ database_roles[0].name }}')
  where not exists (select from pg_database where datname = '{{ database_name }}') \gexec
\connect {{ database_name }}
-- Rows written here and read back after a restore show what a drill lost.
select 'create table canary (id bigserial primary key, at timestamptz not null default clock_timestamp(), note text)'
  where to_regclass('public.canary') is null \gexec
\i {{ database_folder }}/databases.sql
