"""Towns of our own invention, for addresses and parcels. State codes are real, towns are not."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Town:
    """`code` is how our tracking numbers name a destination."""

    code: str
    city: str
    state: str
    postal_prefix: str


TOWNS = (
    Town("SRN", "Porto Sereno", "SC", "88"),
    Town("ALV", "Vila Alvorada", "SP", "13"),
    Town("CPV", "Campo Verdeal", "PR", "85"),
    Town("LGM", "Lagoa Mansa", "RS", "95"),
    Town("SBR", "Serra Branca do Norte", "MG", "37"),
    Town("RCL", "Rio Claroal", "RJ", "27"),
    Town("PDO", "Pedra d'Ouro", "BA", "45"),
    Town("MTA", "Matinha Alta", "GO", "75"),
    Town("IPA", "Ipoeira", "PE", "55"),
    Town("JTB", "Jatobal", "CE", "62"),
    Town("BVA", "Bela Várzea", "ES", "29"),
    Town("NVH", "Novo Horto", "MT", "78"),
)
HUBS = (
    Town("H01", "Entreposto Central", "SP", "06"),
    Town("H02", "Cruzeiro das Cargas", "MG", "32"),
    Town("H03", "Planalto Sul", "PR", "83"),
)
TOWN_BY_CODE = {town.code: town for town in TOWNS}
