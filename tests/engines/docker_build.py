"""Docker: `docker build`, with the classic builder and with BuildKit."""

import image
from kit import Operations, call, equal, has

operation = operations = Operations()

DOCKERFILE = f"""FROM {image.NAME} AS dough
RUN echo flour >/flour && id -u >/uid
USER baker
RUN id -un >/tmp/user
FROM {image.NAME}
WORKDIR /oven
COPY --from=dough /flour /uid /tmp/user ./
COPY note .
RUN ["sh", "-c", "cat flour uid user note >all"]
CMD ["cat", "/oven/all"]
"""


def build(docker, name, dockerfile, kit, code=0):
    dir = docker.scene.make("context")
    docker.scene.write("context/Dockerfile", dockerfile)
    docker.scene.write("context/note", "mind the crust\n")
    env = {**docker.env, "DOCKER_BUILDKIT": "1" if kit else "0"}
    return call("docker", "build", "--no-cache", "-t", name, dir, env=env, code=code)


def whole(docker, kit):
    build(docker, "cake", DOCKERFILE, kit)
    equal(docker("run", "--rm", "cake").split("\n"), ["flour", "0", "baker", "mind the crust"])
    docker("rmi", "-f", "cake")


def broken(docker, kit):
    has(build(docker, "cake", f"FROM {image.NAME}\nRUN exit 9\n", kit, code=1 if kit else 9), "9")


@operation("build: classic builder")
def _(docker):
    whole(docker, False)


@operation("build: classic builder, a step that fails")
def _(docker):
    broken(docker, False)


@operation("build: BuildKit")
def _(docker):
    whole(docker, True)


@operation("build: BuildKit, a step that fails")
def _(docker):
    broken(docker, True)


@operation("build: BuildKit, RUN --mount of three kinds")
def _(docker):
    text = f"""FROM {image.NAME}
RUN --mount=type=tmpfs,target=/t --mount=type=bind,source=note,target=/n --mount=type=cache,target=/c \\
    cp /n /t/ && cp /t/n /copy && touch /c/x
CMD ["cat", "/copy"]
"""
    build(docker, "cake", text, True)
    equal(docker("run", "--rm", "cake"), "mind the crust")
    docker("rmi", "-f", "cake")
