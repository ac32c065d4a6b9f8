"""The parameters of the order lists. A test holds them against the filters themselves."""

from typing import Any, Final

from oms.api.description.operation import Query
from oms.api.listing.paging import LARGEST_PAGE, MOST_PAGES
from oms.orders.listing import SortField

BOOLEAN: Final[dict[str, Any]] = {"type": "boolean"}
SORTINGS: Final = [f"{field.value},{way}" for field in SortField for way in ("asc", "desc")]

PAGING: Final = (
    Query("page", "From 1.", {"type": "integer", "minimum": 1, "maximum": MOST_PAGES}),
    Query(
        "per_page",
        "How many of a page.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
    ),
    Query("orderBy", "A field and a direction.", {"type": "string", "enum": SORTINGS}),
    Query("cursor", "`paging.nextCursor` of the page before: goes beyond page 30."),
)

LIST_FILTERS: Final = (
    Query(
        "q", "Order id, sequence, e-mail, document, phone, tracking number; or how a name begins."
    ),
    Query("f_status", "Statuses, separated by commas or repeated."),
    Query("f_creationDate", "`creationDate:[2026-01-01T00:00:00.000Z TO *]`"),
    Query("f_authorizedDate", "`authorizedDate:[… TO …]`"),
    Query("f_invoicedDate", "`invoicedDate:[… TO …]`"),
    Query("f_shippingEstimate", "`7.days`, `1.days` (tomorrow), `0.days`, `-1.days` (late)."),
    Query("f_hasInputInvoice", "Whether anything was returned.", BOOLEAN),
    Query("f_hasOutputInvoice", "Whether anything was invoiced.", BOOLEAN),
    Query("f_UtmSource", "Campaign that the buyer came from."),
    Query("f_sellerNames", "Sellers, by name or id."),
    Query("f_callCenterOperatorName", "Call center operator, by name or e-mail."),
    Query("f_salesChannel", "Sales channel, by name or id."),
    Query("salesChannelId", "Sales channel, by id or name."),
    Query("f_affiliateId", "Affiliate."),
    Query("f_paymentNames", "Name of a means of payment."),
    Query("f_RnB", "Name of a promotion or tax."),
    Query("f_isInstore", "Whether the order was placed in a store.", BOOLEAN),
    Query("incompleteOrders", "Whether the order is incomplete.", BOOLEAN),
    Query(
        "searchField",
        "By which of `sku_Ids`, `listId`, `tid`, `pci_tid`, `paymentId`, `nsu`: see `q`.",
    ),
    Query("sku_Ids", "SKU of a line."),
    Query("listId", "Gift list."),
    Query("tid", "Transaction."),
    Query("pci_tid", "Transaction of the connector."),
    Query("paymentId", "Payment."),
    Query("nsu", "NSU of the connector."),
)

USER_FILTERS: Final = (
    Query("clientEmail", "Whose orders.", required=True),
    Query("text", "As `q` of the list of orders."),
    Query("status", "Statuses, repeated or separated by commas."),
    Query("creation_date", "`[2026-01-01T00:00:00.000Z TO *]`"),
    Query("my_pending_approvals", "Whether the order waits to be authorized.", BOOLEAN),
)
