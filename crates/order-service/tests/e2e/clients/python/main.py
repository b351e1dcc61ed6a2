"""Leads an order from placement to parcel with the client that openapi-python-client makes of the document."""

import sys
from datetime import datetime, timedelta, timezone

from orders import AuthenticatedClient
from orders.api.commands import authorize_payment, place_order, reserve_inventory, ship_order
from orders.api.events import log, order_events
from orders.api.reading import get_order, list_orders
from orders.models import (
    Adjustment,
    AdjustmentKind,
    AuthorizePayment,
    AuthorizePaymentResponse202,
    FullOrder,
    GetOrderView,
    Item,
    ListOrdersSort,
    Order,
    OrderStatus,
    PaymentAuthorizedEvent,
    PlaceOrder,
    PlaceOrderResponse201,
    Problem,
    ReserveInventory,
    ReserveInventoryResponse202,
    ShipOrder,
    ShipOrderResponse202,
)

ORDER_ID = "ord-python"


def place(client: AuthenticatedClient) -> None:
    body = PlaceOrder(
        order_id=ORDER_ID,
        customer_id="cust-123",
        items=[Item(sku="sku-1", quantity=2, unit_price_cents=1500)],
        adjustments=[Adjustment(kind=AdjustmentKind.SHIPPING, label="Parcel", amount_cents=490)],
    )
    # The same again is answered the same.
    for _ in range(2):
        placed = place_order.sync(client=client, body=body)
        assert isinstance(placed, PlaceOrderResponse201), placed
        assert placed.order_id == ORDER_ID


def pay_reserve_ship(client: AuthenticatedClient) -> None:
    payment = AuthorizePayment(payment_id="pay-001", amount_cents=3490)
    paid = authorize_payment.sync_detailed(ORDER_ID, client=client, body=payment)
    assert isinstance(paid.parsed, AuthorizePaymentResponse202), paid
    reservation = ReserveInventory(reservation_id="res-001")
    # Only if nothing came between.
    version = paid.headers["ETag"]
    reserved = reserve_inventory.sync(ORDER_ID, client=client, body=reservation, if_match=version)
    assert isinstance(reserved, ReserveInventoryResponse202), reserved
    parcel = ShipOrder(tracking_number="1Z999", carrier="UPS")
    shipped = ship_order.sync(ORDER_ID, client=client, body=parcel)
    assert isinstance(shipped, ShipOrderResponse202), shipped


def read(client: AuthenticatedClient) -> None:
    basic = get_order.sync(ORDER_ID, client=client)
    assert isinstance(basic, Order), basic
    assert (basic.status, basic.total_cents) == ("shipped", 3490), basic
    full = get_order.sync(ORDER_ID, client=client, view=GetOrderView.FULL)
    assert isinstance(full, FullOrder), full
    assert (full.lines[0].shipped, full.authorized_cents) == (2, 3490), full
    page = list_orders.sync(client=client, limit=10)
    assert isinstance(page, list), page
    assert [order.order_id for order in page] == [ORDER_ID]


def find(client: AuthenticatedClient) -> None:
    since = datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    found = list_orders.sync(
        client=client,
        status=[OrderStatus.PLACED, OrderStatus.SHIPPED],
        tracking_number="1Z999",
        placed_after=since,
        on_hold=False,
        sort=ListOrdersSort("-updated"),
    )
    assert isinstance(found, list), found
    assert [order.order_id for order in found] == [ORDER_ID]
    assert list_orders.sync(client=client, status=[OrderStatus.PLACED]) == []
    assert list_orders.sync(client=client, updated_before=since) == []


def read_events(client: AuthenticatedClient) -> None:
    history = order_events.sync(ORDER_ID, client=client)
    assert isinstance(history, list), history
    assert [event.type_ for event in history] == [
        "order.placed.v1",
        "order.payment_authorized.v1",
        "order.inventory_reserved.v1",
        "order.shipped.v1",
    ]
    paid = history[1]
    assert isinstance(paid, PaymentAuthorizedEvent), paid
    assert paid.data.amount_cents == 3490, paid
    placed = log.sync(client=client, type_=["order.placed.v1"])
    assert isinstance(placed, list), placed
    assert [event.subject for event in placed] == [ORDER_ID]


def be_refused(client: AuthenticatedClient) -> None:
    again = ReserveInventory(reservation_id="res-002")
    refused = reserve_inventory.sync(ORDER_ID, client=client, body=again)
    assert isinstance(refused, Problem), refused
    assert (refused.code, refused.order_status, refused.version) == ("invalid-transition", "shipped", 4), refused
    nothing = PlaceOrder(customer_id="cust-123", items=[])
    invalid = place_order.sync(client=client, body=nothing)
    assert isinstance(invalid, Problem) and isinstance(invalid.errors, list), invalid
    assert (invalid.code, invalid.errors[0].pointer) == ("validation-failed", "/items"), invalid
    unknown = get_order.sync("nobody", client=client)
    assert isinstance(unknown, Problem) and unknown.status == 404, unknown


def main() -> None:
    # This service asks nobody who it is.
    client = AuthenticatedClient(base_url=sys.argv[1], token="none")
    place(client)
    pay_reserve_ship(client)
    read(client)
    find(client)
    read_events(client)
    be_refused(client)


main()
