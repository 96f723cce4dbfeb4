#!/bin/sh
# Hold DICOM objects that plainfilm wrote against dciodvfy and PixelMed's validator of structured reports.
# Needs: apt-get install dicom3tools libpixelmed-java default-jre-headless. Usage: export_conformance.sh FILE...
set -eu
wrong=0
for file; do
    said=$(dciodvfy "$file" 2>&1 || true)
    echo "$said" | grep -q '^Error' && { echo "$file: dciodvfy"; echo "$said" | grep '^Error'; wrong=1; }
    echo "$said" | grep -q 'SR$' || continue
    said=$(java -Djdk.xml.xpathTotalOpLimit=0 -Djdk.xml.xpathExprOpLimit=0 -Djdk.xml.xpathExprGrpLimit=0 \
        -Djdk.xml.entityExpansionLimit=0 -cp /usr/share/java/pixelmed.jar \
        com.pixelmed.validate.DicomSRValidator "$file" 2>&1)
    echo "$said" | grep -q '^Error' && { echo "$file: PixelMed"; echo "$said" | grep '^Error'; wrong=1; }
done
[ $wrong -eq 0 ] && echo "no error"
exit $wrong
