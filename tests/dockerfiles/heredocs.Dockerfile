FROM base
ARG WHO=world
RUN <<EOF
set -e
echo $WHO
EOF
RUN <<-EOF
	tabs go
	EOF
RUN <<EOF bash -x
echo to a shell
EOF
RUN <<SCRIPT
#!/usr/bin/env python3
print("hello")
SCRIPT
RUN cat <<A >/a && cat <<"B" >/b
first $WHO
A
second $WHO
B
COPY <<one.txt <<'two.txt' real.txt /dir/
hello $WHO
one.txt
hello $WHO
two.txt
COPY <<EOF /etc/motd
${WHO:-nobody} \$WHO
EOF
