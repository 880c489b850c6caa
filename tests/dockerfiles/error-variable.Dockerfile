FROM a
ARG X
ENV Y="${X:?must be given}"
