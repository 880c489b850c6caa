create table loaf (kind text);
insert into loaf values ('rye'), ('rye'), ('rye');
