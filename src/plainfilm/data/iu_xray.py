"""Former location of the IU X-ray source, kept for scripts that import it from here."""

from plainfilm.data.sources.iu_xray import prepare_iu_xray, read_r2gen_split, read_reports

__all__ = ["prepare_iu_xray", "read_r2gen_split", "read_reports"]
