FROM busybox AS tools
FROM with-triggers AS app
ONBUILD RUN echo later
FROM app
RUN echo last
