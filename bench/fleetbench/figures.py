"""From runs to the document that a case prints."""
import statistics

DIGITS = 4


def summary(runs):
    """{NAME: {"min", "median", "max"}} over the runs that have the name."""
    names = list(dict.fromkeys(name for run in runs for name in run))
    return {name: _spread([run[name] for run in runs if name in run]) for name in names}


def _spread(values):
    return {"min": _rounded(min(values)), "median": _rounded(statistics.median(values)),
            "max": _rounded(max(values))}


def _rounded(value):
    return round(value, DIGITS) if isinstance(value, float) else value


def document(case, parameters, host, runs):
    runs = [{name: _rounded(value) for name, value in run.items()} for run in runs]
    return {"case": case, "figures": summary(runs), "runs": runs,
            "parameters": parameters, "host": host}
