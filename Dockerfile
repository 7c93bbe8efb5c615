# syntax=docker/dockerfile:1
# The daemon alone: no compiler, no test tools, no training stack.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /usr/lib/seamark
RUN python -m venv --without-pip .venv
# The locks come first, so that a change of code does not install everything again.
COPY requirements/boot.lock requirements/daemon.lock requirements/
RUN python -m venv /tmp/boot \
 && /tmp/boot/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/boot.lock \
 && /tmp/boot/bin/uv pip install --python .venv/bin/python --no-cache --compile-bytecode \
    --no-deps --require-hashes -r requirements/daemon.lock
COPY . .
# In place, so that configs/ stays beside the packages that read it.
RUN /tmp/boot/bin/uv pip install --python .venv/bin/python --no-cache --compile-bytecode \
    --offline --no-deps --no-build-isolation -e . \
 && .venv/bin/python -m compileall -q core venue feeds inference risk execution trader

FROM python:3.11-slim
ENV PATH=/usr/lib/seamark/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/cache/trader/numba \
    STATE_DIRECTORY=/var/lib/trader \
    CACHE_DIRECTORY=/var/cache/trader \
    CONFIGURATION_DIRECTORY=/etc/trader
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/trader --shell /usr/sbin/nologin trader \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/trader /var/cache/trader \
 && install -d -m 0755 /etc/trader
COPY --from=build /usr/lib/seamark /usr/lib/seamark
# Paper trading on public prices unless another file is mounted over this one. Paths in it belong to
# its folder, hence the link.
RUN install -m 0644 /usr/lib/seamark/configs/paper-kraken.toml /etc/trader/trader.toml \
 && ln -s /usr/lib/seamark/configs/models /etc/trader/models
WORKDIR /usr/lib/seamark
USER 10001:10001
# Kernels are compiled here and not at trading time; a named volume starts from what the image holds.
RUN python -m inference.warm
VOLUME ["/var/lib/trader", "/var/cache/trader"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["trader", "health", "--ready"]
# The process handles SIGTERM itself, so it can be PID 1. Inside the container it listens on every
# address; publish it on the loopback of the host:
#   docker run -p 127.0.0.1:8080:8080 --read-only --tmpfs /tmp --stop-timeout 60 -v trader:/var/lib/trader seamark
ENV TRADER_DASHBOARD__HOST=0.0.0.0 \
    TRADER_DASHBOARD__EXPOSED=true \
    TRADER_DASHBOARD__PORT=8080
ENTRYPOINT ["trader"]
CMD ["run"]
