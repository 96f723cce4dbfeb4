"""Where IU X-ray's source was until the sources had a room of their own; scripts still say so."""

from plainfilm.data.sources.iu_xray import prepare_iu_xray, read_r2gen_split, read_reports

__all__ = ["prepare_iu_xray", "read_r2gen_split", "read_reports"]
