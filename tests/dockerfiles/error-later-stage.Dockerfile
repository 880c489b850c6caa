FROM a AS one
COPY --from=two /x /y
FROM b AS two
# options: --target one
