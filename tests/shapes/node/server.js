const ms = require("ms");
require("http").createServer((_, answer) => answer.end(`pão in ${ms(60000)}\n`)).listen(3000);
