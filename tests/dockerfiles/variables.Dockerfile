FROM base
ENV abc=hello
ENV abc=bye def=$abc
ARG A=1 B=$A
ENV C=$B D=$C
ENV X=env
ARG X=arg
ENV name value with  spaces
ENV quoted="a b" single='$abc' escaped=\$abc path=${abc%l*} longest=${abc#*b} up=${nothing:-${abc:+set}}
LABEL "my.label"="one $abc" two=2
WORKDIR rel
WORKDIR $abc/deep
RUN echo $abc "$X"
USER ${abc}:${nothing-staff}
VOLUME ["/a b", "/$abc"]
VOLUME /c $abc
STOPSIGNAL ${sig:-SIGQUIT}
COPY $abc.txt ${def}/
HEALTHCHECK --interval=5s --retries=3 CMD curl -f http://localhost/ || exit 1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
CMD echo $abc
ENTRYPOINT exec top
