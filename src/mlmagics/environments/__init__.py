"""What a job needs installed: asked for with the cell, compared with what is there."""
