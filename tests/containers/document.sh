# A tutorial of docker from its first page to its last, as it is written, with `docker` being forno: it runs in a mount and
# a network namespace of its own, where /var/lib/forno is new and docker-registry listens on localhost:5000. What it prints
# is compared by document.rs.
cd "$TMP"

# The image: written, built, sent away, removed, fetched.
mkdir site
echo '<h1>versao 1</h1>' >site/index.html
cat >site/Dockerfile <<'END'
FROM box
WORKDIR /app
COPY index.html .
EXPOSE 80
CMD ["httpd", "-f", "-p", "80", "-h", "/app"]
END
docker build -t meu-site:1.0 site >/dev/null 2>&1
docker images --format '{{.Repository}}:{{.Tag}}' | grep meu-site
docker tag meu-site:1.0 localhost:5000/ana/meu-site:1.0
docker push localhost:5000/ana/meu-site:1.0 >/dev/null 2>&1
docker rmi meu-site:1.0 localhost:5000/ana/meu-site:1.0 >/dev/null
docker images --format '{{.Repository}}' | grep meu-site || echo 'no image'
docker pull localhost:5000/ana/meu-site:1.0 >/dev/null 2>&1
get() { curl -sS --retry 9 --retry-connrefused --retry-delay 1 "http://$1/"; }

# A container of it, and what is changed in it, goes with it.
docker run -d --name site -p 8080:80 localhost:5000/ana/meu-site:1.0 >id
get localhost:8080
docker ps --format '{{.Names}} {{.Image}} {{.Ports}}'
[ "$(docker ps -q --no-trunc)" = "$(cat id)" ] && echo 'same id'
docker exec site sh -c "echo '<h1>versao 2</h1>' >/app/index.html"
get localhost:8080
docker stop -t 1 site
get localhost:8080 2>/dev/null || echo 'not reached'
docker start site
get localhost:8080
docker rm site 2>/dev/null || echo 'runs still'
docker stop -t 1 site
docker rm site
docker run -d --name site -p 8080:80 localhost:5000/ana/meu-site:1.0 >/dev/null
get localhost:8080
docker rm -f site

# With a volume it stays.
mkdir dados
echo '<h1>dados 1</h1>' >dados/index.html
docker run -d --name site -p 8080:80 -v "$TMP/dados:/app" localhost:5000/ana/meu-site:1.0 >/dev/null
get localhost:8080
docker exec site sh -c "echo '<h1>dados 2</h1>' >/app/index.html; echo log >/app/log"
docker stop -t 1 site >/dev/null
docker rm site
cat dados/index.html dados/log
docker run -d --name site -p 8080:80 -v "$TMP/dados:/app" localhost:5000/ana/meu-site:1.0 >/dev/null
get localhost:8080
docker rm -f site
docker run --rm -v pagina:/app localhost:5000/ana/meu-site:1.0 sh -c 'echo more >>/app/index.html'
docker run --rm -v pagina:/app localhost:5000/ana/meu-site:1.0 cat /app/index.html
docker volume rm pagina

# Three at once of one image, each with a layer of its own.
for n in 1 2 3; do
    docker run -d --name "site$n" -p "808$n:80" localhost:5000/ana/meu-site:1.0 >/dev/null
    docker exec "site$n" sh -c "echo site $n >/app/index.html"
done
for n in 1 2 3; do get "localhost:808$n"; done
docker ps --format '{{.Names}} {{.Ports}}'
docker stop -t 1 site1 site2 site3 >/dev/null
docker rm site1 site2 site3 >/dev/null
docker ps -aq
docker rmi localhost:5000/ana/meu-site:1.0 >/dev/null
ip -o link | grep -v ' lo:' || echo 'no link'
nft list ruleset
