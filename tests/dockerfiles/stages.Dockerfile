# syntax=docker/dockerfile:1
ARG GO=1.22
ARG UNUSED
FROM --platform=$BUILDPLATFORM golang:${GO} AS Build
ARG TARGETOS TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/root/.cache/go-build \
    # a comment inside
    GOOS=$TARGETOS go build -ldflags "-X main.version=$VERSION" -o /out/app .

FROM alpine AS never
RUN false

FROM scratch
COPY --from=build --chown=1000:1000 /out/app /app
COPY --from=0 /etc/passwd /etc/
USER 1000
EXPOSE 8080 53/udp 9000-9001
ENTRYPOINT ["/app"]
# options: --build-arg VERSION=1.2.3 --build-arg NOBODY=asks --platform linux/arm64 --label org.x=y
