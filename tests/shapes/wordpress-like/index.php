<?php
$db = new PDO("sqlite:/var/lib/site/db");
$db->exec("create table if not exists t (x)");
$db->exec("insert into t select 1 where not exists (select 1 from t)");
echo "stored: ", $db->query("select count(*) from t")->fetchColumn(), "\n";
