FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY plugins plugins
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.13-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels gateway
COPY gateway.yaml /etc/gateway/gateway.yaml
COPY policy/schemas /etc/gateway/policy/schemas
COPY policy/templates /etc/gateway/policy/templates
# Jobs, and what would be sent while nobody is named who sends it. A volume here outlives the container.
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/gateway /var/lib/gateway/jobs
ENV JOBS_FILE=/var/lib/gateway/jobs/jobs.db \
    SMTP_URL=outbox:/var/lib/gateway/jobs/outbox \
    WHATSAPP_API_URL=outbox:/var/lib/gateway/jobs/outbox
USER 65532:65532
# 9191: the observe port of the policy above, on loopback unless OBSERVE_HOST says otherwise.
EXPOSE 8080 9191
# The observe port answers when traffic has used up all connections, too. A policy without one needs --no-healthcheck.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ.get(\"OBSERVE_PORT\", \"9191\")}/health/liveness', timeout=2)"]
ENTRYPOINT ["gateway"]
CMD ["run", "/etc/gateway/gateway.yaml"]
