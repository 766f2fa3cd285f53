"""Whether a picture is fit to be judged: a bad picture is no defect, it is a reason not to pass."""
