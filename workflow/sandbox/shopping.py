"""
Orders as a marketplace and a storefront would place them. Everything in them is invented:
products, people, towns. Documents carry wrong check digits and phones a dead exchange on purpose,
so that they can belong to nobody.
"""

import random
from dataclasses import dataclass
from typing import Any

from workflow.sandbox.places import TOWNS, Town

MARKETPLACE, STOREFRONT = "MKP", "STO"
OWN_SELLER = "1"


@dataclass(frozen=True, slots=True)
class Product:
    sku: str
    name: str
    price_cents: int
    seller: str


PRODUCTS = (
    Product("1001", "Rede de algodão Maré Mansa", 18990, OWN_SELLER),
    Product("1002", "Cafeteira italiana Grão Bravo 6 xícaras", 12990, OWN_SELLER),
    Product("1003", "Panela de ferro Fogo Lento 4 L", 24900, OWN_SELLER),
    Product("1004", "Jogo de lençóis Nuvem Clara casal", 21990, OWN_SELLER),
    Product("1005", "Lanterna de cabeça Vagalume", 7990, OWN_SELLER),
    Product("1006", "Mochila Trilha Longa 32 L", 32900, OWN_SELLER),
    Product("1007", "Garrafa térmica Serra Fria 1 L", 9990, OWN_SELLER),
    Product("1008", "Caixa de som Tamborim Mini", 27990, OWN_SELLER),
    Product("1009", "Luminária de mesa Meia-Luz", 15990, OWN_SELLER),
    Product("1010", "Teclado sem fio Toque Leve", 19990, OWN_SELLER),
    Product("2001", "Vaso de barro Mão de Oleiro", 8900, "atelier-do-barro"),
    Product("2002", "Prato fundo esmaltado Areia", 5400, "atelier-do-barro"),
    Product("2003", "Jarra Moringa Antiga", 11900, "atelier-do-barro"),
    Product("3001", "Tênis de corrida Asa Ligeira", 38900, "esporte-vivo"),
    Product("3002", "Bola de vôlei Praia Alta", 9900, "esporte-vivo"),
    Product("3003", "Corda de pular Ritmo", 3990, "esporte-vivo"),
)
FIRST_NAMES = (
    "Aurora", "Benício", "Cecília", "Davi", "Elisa", "Francisco", "Glória", "Heitor", "Iara",
    "Joaquim", "Lívia", "Martim", "Noêmia", "Otávio", "Pilar", "Raul", "Sílvia", "Tomé",
)  # fmt: skip
LAST_NAMES = (
    "do Vale", "Ribas", "Montenegro", "da Pedra", "Salgueiro", "Aroeira", "Campos Velho",
    "do Cais", "Figueira", "Lagoa", "Penedo", "Quintal", "Serrano", "Telheiro", "Ventura",
)  # fmt: skip
STREETS = ("Rua das Acácias", "Avenida do Farol", "Travessa do Moinho", "Rua da Estação Velha")
CARD_NAMES = (("2", "Visa"), ("4", "Mastercard"))


@dataclass(frozen=True, slots=True)
class Delivery:
    sla: str
    channel: str
    estimate: str
    price_cents: int


NORMAL = Delivery("Normal", "delivery", "5bd", 1990)
EXPRESS = Delivery("Express", "delivery", "1bd", 3490)
PICKUP = Delivery("Retira na loja", "pickup-in-point", "4h", 0)


def invent_order(chance: random.Random, affiliate_id: str, number: str) -> dict[str, Any]:
    """This function will make an order body of the fulfillment contract, payable as it stands."""
    town = chance.choice(TOWNS)
    delivery = chance.choices((NORMAL, EXPRESS, PICKUP), weights=(75, 13, 12))[0]
    products = _pick_products(chance, affiliate_id)
    items = [_item(product, chance) for product in products]
    value = sum(item["price"] * item["quantity"] for item in items)
    value += delivery.price_cents * len(items)
    profile = _profile(chance)
    order: dict[str, Any] = {
        "marketplaceOrderId": number,
        "marketplaceServicesEndpoint": "https://marketplace.example/services",
        "marketplacePaymentValue": value,
        "items": items,
        "clientProfileData": profile,
        "shippingData": _shipping(chance, delivery, town, profile, len(items)),
        "openTextField": None,
    }
    if affiliate_id == STOREFRONT:
        order["paymentData"] = _payment(chance, value)
        order["marketingData"] = {"utmSource": chance.choice(("busca", "boletim", "direto"))}
    return order


def _pick_products(chance: random.Random, affiliate_id: str) -> list[Product]:
    count = chance.choices((1, 2, 3), weights=(60, 28, 12))[0]
    own = [product for product in PRODUCTS if product.seller == OWN_SELLER]
    mixes_sellers = affiliate_id == STOREFRONT and chance.random() < 0.25
    return chance.sample(PRODUCTS if mixes_sellers else own, count)


def _item(product: Product, chance: random.Random) -> dict[str, Any]:
    return {
        "id": product.sku,
        "name": product.name,
        "quantity": chance.choices((1, 2, 3), weights=(85, 12, 3))[0],
        "seller": product.seller,
        "commission": 0,
        "freightCommission": 0,
        "price": product.price_cents,
        "bundleItems": [],
        "attachments": [],
        "priceTags": [],
        "measurementUnit": "un",
        "unitMultiplier": 1,
        "isGift": False,
    }


def _profile(chance: random.Random) -> dict[str, Any]:
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    serial = chance.randrange(10**6)
    return {
        "email": f"cliente{serial:06d}@example.com",
        "firstName": first,
        "lastName": last,
        "documentType": "cpf",
        "document": document_of_nobody(chance),
        "phone": f"+5511900{chance.randrange(10**6):06d}",
        "isCorporate": False,
    }


def document_of_nobody(chance: random.Random) -> str:
    """This function will make eleven digits whose check digits are wrong for certain."""
    digits = [chance.randrange(10) for _ in range(9)]
    for length in (9, 10):
        weighted = sum(
            digit * weight for digit, weight in zip(digits, range(length + 1, 1, -1), strict=True)
        )
        digits.append(weighted * 10 % 11 % 10)
    digits[-1] = (digits[-1] + 5) % 10
    return "".join(map(str, digits))


def _shipping(
    chance: random.Random, delivery: Delivery, town: Town, profile: dict[str, Any], count: int
) -> dict[str, Any]:
    is_pickup = delivery is PICKUP
    address: dict[str, Any] = {
        "addressType": "pickup" if is_pickup else "residential",
        "receiverName": f"{profile['firstName']} {profile['lastName']}",
        "addressId": f"{town.code.lower()}-{chance.randrange(10**6):06d}",
        "postalCode": f"{town.postal_prefix}{chance.randrange(10**6):06d}",
        "city": town.city,
        "state": town.state,
        "country": "BRA",
        "street": chance.choice(STREETS),
        "number": str(chance.randrange(1, 2000)),
        "neighborhood": "Centro",
        "complement": None,
        "reference": None,
        "geoCoordinates": [],
    }
    logistics = {
        "selectedSla": delivery.sla,
        "selectedDeliveryChannel": delivery.channel,
        "lockTTL": "8d",
        "shippingEstimate": delivery.estimate,
        "price": delivery.price_cents,
    }
    if is_pickup:
        logistics["pickupPointId"] = f"loja-{town.code.lower()}"
    return {
        "address": address,
        "logisticsInfo": [{"itemIndex": index, **logistics} for index in range(count)],
    }


def _payment(chance: random.Random, value: int) -> dict[str, Any]:
    system, name = chance.choice(CARD_NAMES)
    payment = {
        "paymentSystem": system,
        "paymentSystemName": name,
        "group": "creditCard",
        "value": value,
        "referenceValue": value,
        "installments": chance.choice((1, 1, 1, 3, 6)),
    }
    if chance.random() < 0.3:
        instant = {"paymentSystem": "125", "paymentSystemName": "Pix", "group": "instantPayment"}
        payment = {**payment, **instant, "installments": 1}
    return {"payments": [payment]}
