"""
What the contract's document says of an order where nobody said anything.

Every top-level field of the contract is there for every order: clients read them without asking
whether they exist. Each call makes fresh objects.
"""

from typing import Any

from django.conf import settings


def order_defaults(currency: str) -> dict[str, Any]:
    """This function will return the contract's 54 top-level fields, in its order."""
    return {
        "orderId": None,
        "sequence": None,
        "marketplaceOrderId": "",
        "marketplaceServicesEndpoint": "",
        "sellerOrderId": "",
        "origin": None,
        "affiliateId": "",
        "salesChannel": "",
        "merchantName": None,
        "status": None,
        "workflowIsInError": False,
        "statusDescription": None,
        "value": 0,
        "creationDate": None,
        "lastChange": None,
        "orderGroup": None,
        "followUpEmail": "",
        "lastMessage": None,
        "hostname": settings.STORE_NAME,
        "isCompleted": True,
        "roundingError": 0,
        "orderFormId": "",
        "allowCancellation": False,
        "allowEdition": False,
        "isCheckedIn": False,
        "authorizedDate": None,
        "invoicedDate": None,
        "cancelReason": None,
        "checkedInPickupPointId": None,
        "totals": [],
        "sellers": [],
        "clientPreferencesData": None,
        "cancellationData": None,
        "taxData": None,
        "subscriptionData": None,
        "itemMetadata": None,
        "marketplace": None,
        "storePreferencesData": store_preferences(currency),
        "customData": None,
        "commercialConditionData": None,
        "openTextField": None,
        "invoiceData": None,
        "changesAttachment": None,
        "callCenterOperatorData": None,
        "packageAttachment": {"packages": []},
        "paymentData": {"transactions": [], "giftCards": []},
        "shippingData": None,
        "ratesAndBenefitsData": {"id": "ratesAndBenefitsData", "rateAndBenefitsIdentifiers": []},
        "marketingData": None,
        "giftRegistryData": None,
        "clientProfileData": None,
        "items": [],
        "marketplaceItems": [],
        "authorizationPolicyData": [],
    }


def store_preferences(currency: str) -> dict[str, Any]:
    return {
        "countryCode": settings.STORE_COUNTRY,
        "currencyCode": currency,
        "currencyFormatInfo": currency_format(currency),
        "currencyLocale": CURRENCY_LOCALES.get(currency, INVARIANT_LOCALE),
        "currencySymbol": settings.STORE_CURRENCY_SYMBOL
        if currency == settings.STORE_CURRENCY
        else None,
        "timeZone": settings.STORE_TIME_ZONE,
    }


# Windows' numbers of locales, as the contract has them; of other currencies nobody told us where.
CURRENCY_LOCALES = {"BRL": 1046, "USD": 1033, "GBP": 2057, "MXN": 2058, "ARS": 11274, "COP": 9226}
INVARIANT_LOCALE = 127
COMMA_CURRENCIES = frozenset({"BRL", "EUR", "ARS", "COP", "CLP"})


def currency_format(currency: str) -> dict[str, Any]:
    decimal, group = (",", ".") if currency in COMMA_CURRENCIES else (".", ",")
    return {
        "CurrencyDecimalDigits": 2,
        "CurrencyDecimalSeparator": decimal,
        "CurrencyGroupSeparator": group,
        "CurrencyGroupSize": 3,
        "StartsWithCurrencySymbol": True,
    }


def client_defaults() -> dict[str, Any]:
    return {
        "id": "clientProfileData",
        "tradeName": None,
        "stateInscription": None,
        "corporatePhone": None,
        "userProfileId": None,
        "userProfileVersion": None,
        "customerClass": None,
        "customerCode": None,
    }


def item_defaults() -> dict[str, Any]:
    return {
        "productId": None,
        "ean": None,
        "lockId": None,
        "itemAttachment": {"content": {}, "name": None},
        "attachments": [],
        "manualPrice": None,
        "priceTags": [],
        "imageUrl": None,
        "detailUrl": None,
        "components": [],
        "bundleItems": [],
        "params": [],
        "offerings": [],
        "attachmentOfferings": [],
        "sellerSku": None,
        "priceValidUntil": None,
        "commission": 0,
        "preSaleDate": None,
        "additionalInfo": None,
        "measurementUnit": "un",
        "unitMultiplier": 1.0,
        "shippingPrice": None,
        "rewardValue": 0,
        "freightCommission": 0,
        "priceDefinition": None,
        "taxCode": None,
        "parentItemIndex": None,
        "parentAssemblyBinding": None,
        "callCenterOperator": None,
        "serialNumbers": None,
        "assemblies": [],
        "costPrice": None,
    }


def payment_defaults() -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(
        (
            "referenceValue",
            "cardHolder",
            "cardNumber",
            "firstDigits",
            "lastDigits",
            "cvv2",
            "expireMonth",
            "expireYear",
            "url",
            "giftCardId",
            "giftCardName",
            "giftCardCaption",
            "redemptionCode",
            "dueDate",
            "giftCardProvider",
            "giftCardAsDiscount",
            "koinUrl",
            "accountId",
            "parentAccountId",
            "bankIssuedInvoiceIdentificationNumber",
            "bankIssuedInvoiceIdentificationNumberFormatted",
            "bankIssuedInvoiceBarCodeNumber",
            "bankIssuedInvoiceBarCodeType",
            "billingAddress",
            "paymentOrigin",
        )
    )
    return {**nothing, "connectorResponses": {}}


def package_defaults() -> dict[str, Any]:
    return {
        "items": [],
        "cfop": None,
        "restitutions": {},
        "volumes": None,
        "EnableInferItems": None,
        "courierStatus": None,
    }
