# One image, one process tree, one volume. tests/hosting/test_dockerfile.py replays these steps without Docker.
# `make pin-image` writes the digest of the base image for a release.
FROM python:3.13.9-slim-bookworm AS build
WORKDIR /app
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
COPY scripts scripts
RUN ./scripts/get-uv
COPY requirements.lock .
COPY requirements-postgres.lock .
COPY requirements-otel.lock .
COPY requirements-browser.lock .
RUN .uv/bin/uv venv -q $(./scripts/find-python --flag) .venv
RUN .uv/bin/uv pip sync -q --require-hashes --compile-bytecode requirements.lock
# `--build-arg WITH="postgres otel browser"`, or some of them: with these extras (docs: hosting guide).
ARG WITH=
RUN for extra in $WITH; do .uv/bin/uv pip install -q --require-hashes --compile-bytecode -r requirements-$extra.lock || exit 1; done
COPY . .
RUN .venv/bin/python -m compileall -q app.py api engine storage ui
RUN rm -rf .uv .venv/.lock scripts

FROM python:3.13.9-slim-bookworm
# The Chromium of the extra `browser`, a package that Debian has signed.
ARG WITH=
RUN case " $WITH " in *" browser "*) apt-get update && apt-get install -y --no-install-recommends chromium && rm -rf /var/lib/apt/lists/* ;; esac
WORKDIR /
COPY --from=build /app /app
RUN install -d -m 0700 -o 10001 -g 10001 data
WORKDIR /app
ENV FLOWPORT_DATA=/data FLOWPORT_HOST=0.0.0.0 HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD [".venv/bin/python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('FLOWPORT_PORT', '8080') + '/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT [".venv/bin/python", "app.py"]
CMD ["serve"]
