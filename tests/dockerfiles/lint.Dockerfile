# check=experimental=InvalidDefinitionDescription
ARG BASE
FROM $BASE As Stage
from --platform=linux/amd64 x AS Other
FROM x AS stage
MAINTAINER me
RUN echo \

  done
ENV old form
ARG API_KEY
WORKDIR relative
CMD echo
CMD ["a"]
RUN echo $UNDEFINED
COPY x$UNDEFIND /x
EXPOSE 80/TCP 8080:80
FROM --platform=$TARGETPLATFORM y$TYPO
# check=skip=JSONArgsRecommended
CMD skipped
# options: --all --build-arg BASE=b
