"""The hospital's side: a service that takes films and hands out drafts.

``store`` keeps what was accepted and what became of it, ``queue`` and ``drafting`` make the drafts,
``app`` is the REST API and the reading room, ``node`` the DICOM node, ``access`` says who may ask.
Everything lies in one folder and listens on this machine alone unless told otherwise.
"""
