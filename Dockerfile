# The service in an image of its own. Build: docker build -t order-service .
FROM rust:1-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends make perl && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p order-service

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/order-service --create-home order-service
COPY --from=build /src/target/release/order-service /usr/local/bin/order-service
USER order-service
WORKDIR /var/lib/order-service
# Orders are in ./data of the working directory, unless --store says otherwise.
VOLUME /var/lib/order-service
EXPOSE 8080
# Inside a container "this machine only" would be nobody. So it starts with an access file (ORDER_SERVICE_ACCESS), or with
# ORDER_SERVICE_OPEN_ACCESS=true where somebody else guards the door.
ENV ORDER_SERVICE_LISTEN=0.0.0.0:8080
ENTRYPOINT ["order-service"]
