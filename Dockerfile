# `make image` builds both images: the one for Tekton's controller argument -entrypoint-image, and the verifier's.
FROM scratch AS svidence
# dist/aarch64 with ARCH=aarch64 on another machine.
ARG DIST=dist
COPY ${DIST}/svidence /ko-app/
USER 65532:65532
ENTRYPOINT ["/ko-app/svidence"]

FROM scratch AS entrypoint
ARG DIST=dist
# svidence.json, the output of `svidence config config-spire.yaml`, is copied if it is there: the [n] makes it a pattern,
# and a pattern may match nothing.
COPY ${DIST}/entrypoint dist/svidence.jso[n] /ko-app/
USER 65532:65532
ENTRYPOINT ["/ko-app/entrypoint"]
