# The service in an image without a shell or a package manager, as a user without rights.
#
#   docker build --build-arg COMMIT="$(git rev-parse --short=12 HEAD)" -t order-service .
FROM rust:1-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends make perl && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG COMMIT=unknown
RUN ORDER_SERVICE_COMMIT="$COMMIT" cargo build --release --locked -p order-service \
    && mkdir /data

# It has the C library, libgcc and the authorities' certificates.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/order-service /usr/local/bin/order-service
COPY --from=build --chown=nonroot:nonroot /data /var/lib/order-service
USER nonroot
WORKDIR /var/lib/order-service
# Orders are in ./data of the working directory, unless --store says otherwise.
VOLUME /var/lib/order-service
EXPOSE 8080
# Inside a container "this machine only" would be nobody. So it starts with an access file (ORDER_SERVICE_ACCESS), or with
# ORDER_SERVICE_OPEN_ACCESS=true where somebody else guards the door.
ENV ORDER_SERVICE_LISTEN=0.0.0.0:8080
ENTRYPOINT ["/usr/local/bin/order-service"]
