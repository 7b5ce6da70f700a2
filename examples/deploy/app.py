"""MONAI Deploy application: a DICOM study in, the synthetic series of a packed bundle out.

    python app.py -i STUDY -m UNPACKED_BUNDLE -o OUTPUT -l WARN

Two operators of MONAI Deploy find the series, one of ours hands it to the bundle's model, which is loaded once:

    DICOMDataLoaderOperator -> DICOMSeriesSelectorOperator -> SynthesisOperator

``MonaiBundleInferenceOperator`` is not used: it makes images ``uint8``, and no operator of the SDK writes them as a
DICOM series. Environment, limits and what was tried: docs/how-to/deployment.md. For research; not for clinical use.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application, Operator, OperatorSpec
from monai.deploy.operators.dicom_data_loader_operator import DICOMDataLoaderOperator
from monai.deploy.operators.dicom_series_selector_operator import DICOMSeriesSelectorOperator
from synthesis import load, only_series, selection_rules, synthesise

from medical_image_synthesis import SynthesisModel, UserError

logger = logging.getLogger(__name__)
STUDIES, SELECTED = "dicom_study_list", "study_selected_series_list"


class SynthesisOperator(Operator):
    """Writes the derived series of the one series that was selected.

    Named input:
        study_selected_series_list: of ``DICOMSeriesSelectorOperator``.

    Args:
        fragment: the application.
        study: folder that the series was found in.
        model: of the bundle.
        output: receives the series and a JSON file about it.
    """

    def __init__(
        self, fragment: Any, *args: Any, study: Path, model: SynthesisModel, output: Path, **kwargs: Any
    ) -> None:
        self.study = study
        self.model = model
        self.output = output
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """One input, no output: what is written is the application's result."""
        spec.input(SELECTED)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Translate the series.

        Raises:
            UserError: as :func:`synthesis.only_series` and :func:`synthesis.synthesise`.
        """
        studies = op_input.receive(SELECTED)
        uids = [str(chosen.series.SeriesInstanceUID) for study in studies for chosen in study.selected_series]
        written = synthesise(self.model, self.study, only_series(uids), self.output)
        logger.warning(f"synthetic series: {len(list(written.glob('*.dcm')))} slices in {written}")


class SynthesisApplication(Application):
    """Finds the series of the bundle's modality in a study and writes the synthetic one."""

    def compose(self) -> None:
        """Three operators in a row, run once."""
        context = Application.init_app_context(self.argv)
        study, bundle, output = (Path(path) for path in (context.input_path, context.model_path, context.output_path))
        loader = DICOMDataLoaderOperator(self, CountCondition(self, 1), input_folder=study, name="loader")
        selector = DICOMSeriesSelectorOperator(self, rules=selection_rules(bundle), all_matched=True, name="selector")
        writer = SynthesisOperator(self, study=study, model=load(bundle), output=output, name="synthesis")
        self.add_flow(loader, selector, {(STUDIES, STUDIES)})
        self.add_flow(selector, writer, {(SELECTED, SELECTED)})


def main() -> int:
    """Run the application; 2 where the study, the bundle or the output cannot be used."""
    try:
        SynthesisApplication().run()
        return 0
    except UserError as error:
        message = str(error)
    print(f"error: {message}", file=sys.stderr)  # now that Holoscan has said its last, which it does on the way out
    return 2


if __name__ == "__main__":
    sys.exit(main())
