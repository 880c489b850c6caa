FROM base AS tools
FROM base
ARG CACHE=/var/cache/apt
WORKDIR /work
RUN --mount=type=cache,target=$CACHE,sharing=locked,id=apt --mount=type=tmpfs,target=/tmp,size=64m make
RUN --mount=target=. --mount=from=tools,source=/usr,target=/tools,rw make
RUN --mount=type=secret,id=token --mount=type=secret,id=key,env=KEY,required --mount=type=secret,id=f,dst=/etc/f,mode=0440 make
RUN --mount=type=ssh --mount=type=ssh,id=other,required=true --network=none --security=insecure git clone x
RUN --mount=type=bind,from=busybox,target=/bb --network=host true
