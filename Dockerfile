# The image for Tekton's controller argument -entrypoint-image. `make image` builds it.
FROM scratch
# dist/aarch64 with ARCH=aarch64 on another machine.
ARG DIST=dist
# svidence.json, the output of `svidence config config-spire.yaml`, is copied if it is there: the [n] makes it a pattern,
# and a pattern may match nothing.
COPY ${DIST}/entrypoint dist/svidence.jso[n] /ko-app/
USER 65532:65532
ENTRYPOINT ["/ko-app/entrypoint"]
