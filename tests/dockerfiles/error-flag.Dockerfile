FROM a

COPY --chwon=1 a b
