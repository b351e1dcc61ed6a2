// Leads an order from placement to parcel with the client that oapi-codegen makes of the document.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"orders/api"
)

const orderID = "ord-go"

var ctx = context.Background()

func main() {
	client, err := api.NewClientWithResponses(os.Args[1])
	check(err == nil, err)
	place(client)
	payReserveShip(client)
	read(client)
	find(client)
	readEvents(client)
	beRefused(client)
}

func place(client *api.ClientWithResponses) {
	id := orderID
	body := api.PlaceOrder{
		OrderId:     &id,
		CustomerId:  "cust-123",
		Items:       []api.Item{{SKU: "sku-1", Quantity: 2, UnitPriceCents: 1500}},
		Adjustments: &[]api.Adjustment{{Kind: "shipping", Label: "Parcel", AmountCents: 490}},
	}
	// The same again is answered the same.
	for range 2 {
		placed, err := client.PlaceOrderWithResponse(ctx, nil, body)
		check(err == nil, err)
		check(placed.JSON201 != nil && placed.JSON201.OrderId == orderID, string(placed.Body))
	}
}

func payReserveShip(client *api.ClientWithResponses) {
	amount := int64(3490)
	payment := api.AuthorizePayment{PaymentId: "pay-001", AmountCents: &amount}
	paid, err := client.AuthorizePaymentWithResponse(ctx, orderID, nil, payment)
	check(err == nil, err)
	check(paid.JSON202 != nil && paid.JSON202.Status == "accepted", string(paid.Body))

	// Only if nothing came between.
	version := paid.HTTPResponse.Header.Get("ETag")
	unchanged := &api.ReserveInventoryParams{IfMatch: &version}
	reservation := api.ReserveInventory{ReservationId: "res-001"}
	reserved, err := client.ReserveInventoryWithResponse(ctx, orderID, unchanged, reservation)
	check(err == nil, err)
	check(reserved.JSON202 != nil, string(reserved.Body))

	parcel := api.ShipOrder{TrackingNumber: "1Z999", Carrier: "UPS"}
	shipped, err := client.ShipOrderWithResponse(ctx, orderID, nil, parcel)
	check(err == nil, err)
	check(shipped.JSON202 != nil, string(shipped.Body))
}

func read(client *api.ClientWithResponses) {
	answer, err := client.GetOrderWithResponse(ctx, orderID, nil)
	check(err == nil, err)
	check(answer.JSON200 != nil, string(answer.Body))
	basic, err := answer.JSON200.AsOrder()
	check(err == nil, err)
	check(basic.Status == api.OrderStatusShipped && basic.TotalCents == 3490, basic)

	everything := api.GetOrderParamsView("full")
	answer, err = client.GetOrderWithResponse(ctx, orderID, &api.GetOrderParams{View: &everything})
	check(err == nil, err)
	check(answer.JSON200 != nil, string(answer.Body))
	full, err := answer.JSON200.AsFullOrder()
	check(err == nil, err)
	check(full.Lines[0].Shipped == 2 && full.AuthorizedCents == 3490, full)

	page, err := client.ListOrdersWithResponse(ctx, nil)
	check(err == nil, err)
	check(page.JSON200 != nil && len(*page.JSON200) == 1, string(page.Body))
}

func find(client *api.ClientWithResponses) {
	statuses := []api.OrderStatus{api.OrderStatusPlaced, api.OrderStatusShipped}
	parcel, onHold, latestFirst := "1Z999", false, api.ListOrdersParamsSort("-updated")
	since := time.Date(2020, 1, 1, 0, 0, 0, 0, time.FixedZone("", 2*60*60))
	found, err := client.ListOrdersWithResponse(ctx, &api.ListOrdersParams{
		Status: &statuses, TrackingNumber: &parcel, PlacedAfter: &since, OnHold: &onHold, Sort: &latestFirst,
	})
	check(err == nil, err)
	check(found.JSON200 != nil && len(*found.JSON200) == 1, string(found.Body))

	statuses = statuses[:1]
	for _, question := range []api.ListOrdersParams{{Status: &statuses}, {UpdatedBefore: &since}} {
		none, err := client.ListOrdersWithResponse(ctx, &question)
		check(err == nil, err)
		check(none.JSON200 != nil && len(*none.JSON200) == 0, string(none.Body))
	}
}

func readEvents(client *api.ClientWithResponses) {
	history, err := client.OrderEventsWithResponse(ctx, orderID, nil)
	check(err == nil, err)
	check(history.ApplicationcloudeventsBatchJSON200 != nil, string(history.Body))
	events := *history.ApplicationcloudeventsBatchJSON200
	check(len(events) == 4, string(history.Body))
	event, err := events[1].ValueByDiscriminator()
	check(err == nil, err)
	paid, ok := event.(api.PaymentAuthorizedEvent)
	check(ok && paid.Data.AmountCents == 3490, event)

	types := []string{"order.placed.v1"}
	placed, err := client.LogWithResponse(ctx, &api.LogParams{Type: &types})
	check(err == nil, err)
	check(placed.ApplicationcloudeventsBatchJSON200 != nil, string(placed.Body))
	check(len(*placed.ApplicationcloudeventsBatchJSON200) == 1, string(placed.Body))
}

func beRefused(client *api.ClientWithResponses) {
	again := api.ReserveInventory{ReservationId: "res-002"}
	refused, err := client.ReserveInventoryWithResponse(ctx, orderID, nil, again)
	check(err == nil, err)
	problem := refused.ApplicationproblemJSON409
	check(problem != nil && problem.Code == "invalid-transition", string(refused.Body))
	check(*problem.OrderStatus == "shipped" && *problem.Version == 4, string(refused.Body))

	nothing := api.PlaceOrder{CustomerId: "cust-123", Items: []api.Item{}}
	invalid, err := client.PlaceOrderWithResponse(ctx, nil, nothing)
	check(err == nil, err)
	faults := invalid.ApplicationproblemJSON422
	check(faults != nil && *(*faults.Errors)[0].Pointer == "/items", string(invalid.Body))

	unknown, err := client.GetOrderWithResponse(ctx, "nobody", nil)
	check(err == nil, err)
	check(unknown.StatusCode() == http.StatusNotFound, string(unknown.Body))
}

// check ends the program with what was seen, unless the condition holds.
func check(condition bool, seen any) {
	if !condition {
		log.Panicln(seen)
	}
}
