FROM base
WORKDIR /app
COPY . .
COPY a b* ../c/ /dest/
COPY --chmod=u=rwX,go= --link x y
COPY --parents ./lib/./src/**/*.c /out/
COPY --exclude=*.md --exclude=!README.md docs /docs
COPY ["a b", "c d/"]
ADD app.tar.gz /opt
ADD --unpack=false app.tar /opt/
ADD --checksum=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 https://example.com/f.tar /f
ADD --keep-git-dir=true https://example.com/r.git#v1:sub /r
COPY --from=busybox:1 /bin/busybox /bin/
